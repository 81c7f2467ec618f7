"""What people say: studies, who is asked what, every answer, answers from elsewhere, and simulated observers."""

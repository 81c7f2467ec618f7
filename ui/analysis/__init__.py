"""What people and models said, looked at together: the pages that ask what a study means."""

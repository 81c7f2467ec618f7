"""What samples and ratings say: tables in, result dataclasses out."""

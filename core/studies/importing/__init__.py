"""Answers from files: read a file, guess what its columns mean, check every row, and store all answers or none."""

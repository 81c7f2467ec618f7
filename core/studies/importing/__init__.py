"""Answers from elsewhere: read a file, guess what its columns mean, check every row, and bring it in whole or not at all."""

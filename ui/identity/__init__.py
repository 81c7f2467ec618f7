"""The page 'Identity samples'."""

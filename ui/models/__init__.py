"""The page 'Models': what is installed, trying it out, and adding more."""

"""The page 'Who could unlock my phone'."""

"""The pages of studies: taking part, looking after a study, bringing answers in."""

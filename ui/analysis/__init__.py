"""Pages that analyse a study: disagreement, statistics, comparison and the face map."""

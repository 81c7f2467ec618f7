"""Paper B: faces on the boundary between two emotions, by guided diffusion over embeddings or by direct search."""

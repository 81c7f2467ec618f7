"""The pages 'Emotion boundary' and 'Morph'."""

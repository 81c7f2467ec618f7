"""Models that come with Liminal, one file a model or family of models; found by name through ``core.models.registry``."""

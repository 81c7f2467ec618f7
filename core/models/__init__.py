"""Networks and scores. The contracts are in ``contracts``; models are found by name through ``registry``."""

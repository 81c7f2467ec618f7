"""How the store keeps what people say: tables, one database of two kinds, and the way in for answers."""

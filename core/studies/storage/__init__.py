"""How the store keeps studies and answers: tables, the database (SQLite or PostgreSQL), answers in and out, backups."""

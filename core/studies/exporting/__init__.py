"""Answers to take away: tables that spreadsheets open safely, and a bundle that carries a whole study."""

"""Exports: tables of answers that spreadsheets open safely, and a bundle of a whole study."""

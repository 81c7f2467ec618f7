"""One HTML file about a study: what was asked, how, who answered, what came out, and how to repeat it."""

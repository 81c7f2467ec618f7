"""What a study says, figure by figure: the statistics page and the report show the same exhibits."""

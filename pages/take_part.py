from ui.studies import rater

rater.show()

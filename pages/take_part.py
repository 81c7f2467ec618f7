from ui.studies import rater

rater.show_rater_page()

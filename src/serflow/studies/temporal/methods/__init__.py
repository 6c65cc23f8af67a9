"""The networks of the study and its plain classifier, by the names that the catalogue gives them."""

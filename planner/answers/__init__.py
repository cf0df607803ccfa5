"""Answers to what people ask of a plan: why a stage is where it is, what else there is, what a change would do, what is
different between two plans, and how it all looks. Each asks the search again; none guesses."""

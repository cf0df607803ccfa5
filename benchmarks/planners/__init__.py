"""Other ways to plan, on the same problems: the paper's linear programme, a bin packing in the manner of Mélange, a
search over pools in the manner of Splitwise, and looking at everything."""

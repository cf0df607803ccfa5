"""What `import agentlang` gives. Nothing is loaded until it is used."""

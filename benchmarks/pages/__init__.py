"""The pages of the documentation that a run's figures stand on."""

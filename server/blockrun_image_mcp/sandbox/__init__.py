"""The image API imitated: the same contract and real pictures, without a key, money or a network."""

"""An imitation of the image API: the same contract and real pictures, without a key, money or a network."""

"""An imitation of the image API, without a key, money or a network.

It has the same contract and makes real pictures.
"""

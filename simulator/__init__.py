"""A synthetic ad market whose true click probabilities are known: how well can a model do, and how well does it?"""

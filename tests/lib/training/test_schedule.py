import numpy as np

from lib.config import TrainConfig
from lib.training.schedule import learning_rate


def test_the_published_steps_multiply_the_rate_from_their_epoch_on():
    train = TrainConfig(lr=1e-3, lr_step=(20, 40, 60), lr_factor=0.9)
    rates = [learning_rate(train, epoch, []) for epoch in (0, 19, 20, 39, 40, 60, 149)]
    np.testing.assert_allclose(rates, [1e-3 * 0.9**k for k in (0, 0, 1, 1, 2, 3, 3)])


def test_a_plateau_of_five_tests_costs_one_factor():
    train = TrainConfig(lr=1.0, scheduler="plateau", lr_factor=0.5)
    errors = [50.0, 40.0, *[41.0] * 4, 39.999, *[45.0] * 5, *[44.0] * 5, 30.0]
    # 39.999 is less than 0.01 % better than 40, so it does not count: the fifth test in a row
    rates = [learning_rate(train, k, errors[:k]) for k in range(len(errors) + 1)]
    assert rates == [1.0] * 7 + [0.5] * 5 + [0.25] * 5 + [0.125] * 2
    assert learning_rate(train, 0, []) == 1.0

# SPDX-License-Identifier: GPL-3.0-or-later
import pytest

from support.farm_of_jobs import FarmOfJobs


@pytest.fixture
def jobs(farm):
    """A farm with two slaves that render in no time."""
    return FarmOfJobs(farm)


@pytest.fixture
def queue(farm):
    """A farm without slaves: jobs stay where they are put."""
    return FarmOfJobs(farm, slaves=0)

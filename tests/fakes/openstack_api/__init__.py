"""A small strict OpenStack on one port of the loopback, for tests of the driver openstack."""

from .cloud import CREDENTIAL, KEYS, OUTSIDE, PASSWORD, PROJECT, TOKEN, OpenStack # noqa: F401

"""The networks and tokens for payments; a price quote chooses one and never adds one."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True)
class Network:
    """A network by its CAIP-2 id, with its USDC.

    `token` is the address of the USDC contract. `token_name` and `token_version` are those of its EIP-712 domain.
    """

    id: str
    token: str
    token_name: str
    token_version: str = "2"  # noqa: S105 - a version, no secret

    @property
    def chain_id(self) -> int:
        """The number of the chain; each signature is bound to one."""
        return int(self.id.partition(":")[2])


_BASE = Network("eip155:8453", "0x833589fCD6eDb6E08f4c7C32D4f71b54bdA02913", "USD Coin")
_BASE_SEPOLIA = Network("eip155:84532", "0x036CbD53842c5426634e7929541eC2318f3dCF7e", "USDC")
_ARC = Network("eip155:5042", "0x3600000000000000000000000000000000000000", "USDC")

NETWORKS: Mapping[str, Network] = MappingProxyType({network.id: network for network in (_BASE, _BASE_SEPOLIA, _ARC)})
"""The networks by their ids. The domains are those of the deployed contracts, as Circle publishes them."""

TOKEN_UNITS = 1_000_000
"""The units of one USDC, which counts as one US dollar."""

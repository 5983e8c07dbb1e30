//! The addresses and names of the cluster, all in one place.
//!
//! Everything lives in ranges that nothing else uses: a bridge for the nodes, a pod range for
//! each node, and the Service range. Every range exists for IPv4 and for IPv6.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// How many nodes the cluster has. They are called `node1` to `node3`.
pub const NODES: u8 = 3;

/// The bridge that connects the nodes with the machine.
pub const BRIDGE: &str = "shoal0";

/// The machine's own IPv4 address on the bridge: API server, DNS and registries listen here.
pub const BRIDGE_V4: Ipv4Addr = Ipv4Addr::new(10, 250, 0, 1);
/// The machine's own IPv6 address on the bridge.
pub const BRIDGE_V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0x250, 0, 0, 0, 0, 0, 1);

/// The Service ranges, in the form of `--service-cluster-ip-range`.
pub const SERVICE_RANGES: &str = "10.96.0.0/16,fd00:96::/112";
/// The ranges that hold the pods of all nodes, in the form of `--cluster-cidr`.
pub const POD_RANGES: &str = "10.244.0.0/16,fd00:244::/32";
/// The first address of each Service range: the Service `kubernetes.default`.
pub const KUBERNETES_SERVICE: [IpAddr; 2] = [
    IpAddr::V4(Ipv4Addr::new(10, 96, 0, 1)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0x96, 0, 0, 0, 0, 0, 1)),
];

/// Where the API server listens.
pub const API_PORT: u16 = 6443;
/// Where the registry that needs no credentials listens.
pub const REGISTRY_PORT: u16 = 5000;
/// Where the registry that asks for credentials listens.
pub const PRIVATE_REGISTRY_PORT: u16 = 5001;
/// etcd's client port, on loopback: not the usual 2379, which may be taken.
pub const ETCD_CLIENT_PORT: u16 = 23790;
/// etcd's peer port, on loopback.
pub const ETCD_PEER_PORT: u16 = 23800;
/// Where CoreDNS says that it is ready, on loopback.
pub const DNS_READY_PORT: u16 = 18181;

/// One node's number, 1 to [`NODES`], and what follows from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NodeNumber(u8);

impl NodeNumber {
    /// The node with that number, if there is one.
    pub fn new(number: u8) -> Option<Self> {
        (1..=NODES).contains(&number).then_some(Self(number))
    }

    /// All nodes, in order.
    pub fn all() -> impl Iterator<Item = Self> {
        (1..=NODES).map(Self)
    }

    /// The number, from 1.
    pub fn get(self) -> u8 {
        self.0
    }

    /// The name of the Node object.
    pub fn name(self) -> String {
        format!("node{}", self.0)
    }

    /// The value of the label `topology.kubernetes.io/zone`.
    pub fn zone(self) -> String {
        format!("zone-{}", self.0)
    }

    /// The network namespace, as `ip netns` knows it.
    pub fn namespace(self) -> String {
        format!("shoal-node{}", self.0)
    }

    /// The machine's end of the node's cable, a port of the bridge.
    pub fn link(self) -> String {
        format!("shoal{}", self.0)
    }

    /// The root of the node's pods in every cgroup hierarchy.
    pub fn cgroup(self) -> String {
        format!("shoal-node{}", self.0)
    }

    /// The name of the CNI network; files that CNI keeps outside our folder begin with it.
    pub fn cni_network(self) -> String {
        format!("shoal-node{}", self.0)
    }

    /// The node's IPv4 address.
    pub fn v4(self) -> Ipv4Addr {
        Ipv4Addr::new(10, 250, 0, 10 + self.0)
    }

    /// The node's IPv6 address; its last group reads like the last number of the IPv4 address.
    pub fn v6(self) -> Ipv6Addr {
        Ipv6Addr::new(0xfd00, 0x250, 0, 0, 0, 0, 0, 0x10 + u16::from(self.0))
    }

    /// The range of the IPv4 addresses of this node's pods.
    pub fn pods_v4(self) -> String {
        format!("10.244.{}.0/24", self.0)
    }

    /// The range of the IPv6 addresses of this node's pods.
    pub fn pods_v6(self) -> String {
        format!("fd00:244:{}::/64", self.0)
    }
}

/// The API server as clients on the machine, on the nodes and in pods reach it.
pub fn api_url() -> String {
    format!("https://{BRIDGE_V4}:{API_PORT}")
}

/// `host:port` of the registry that needs no credentials.
pub fn registry() -> String {
    format!("{BRIDGE_V4}:{REGISTRY_PORT}")
}

/// `host:port` of the registry that asks for credentials.
pub fn private_registry() -> String {
    format!("{BRIDGE_V4}:{PRIVATE_REGISTRY_PORT}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_are_numbered_from_one_to_three() {
        assert!(NodeNumber::new(0).is_none());
        assert!(NodeNumber::new(4).is_none());
        let names: Vec<_> = NodeNumber::all().map(NodeNumber::name).collect();
        assert_eq!(names, ["node1", "node2", "node3"]);
    }

    #[test]
    fn addresses_of_one_node_share_its_number_in_both_families() {
        let node = NodeNumber::new(2).unwrap();
        assert_eq!(node.v4().to_string(), "10.250.0.12");
        assert_eq!(node.v6().to_string(), "fd00:250::12");
        assert_eq!(node.pods_v4(), "10.244.2.0/24");
        assert_eq!(node.pods_v6(), "fd00:244:2::/64");
    }

    #[test]
    fn interface_names_fit_the_kernels_fifteen_bytes() {
        assert!(BRIDGE.len() <= 15);
        assert!(NodeNumber::all().all(|node| node.link().len() <= 15));
    }
}

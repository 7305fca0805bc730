//! NAT boxes and firewalls, as RFC 4787 (datagrams) and RFC 5382 (TCP) describe them.

pub mod kind;

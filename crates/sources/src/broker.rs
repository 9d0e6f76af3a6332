//! Brokers of message queues, as who starts the server names them.

/// What a broker is, and so what it is spoken to in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Protocol {
    /// RabbitMQ: AMQP 0.9.1.
    RabbitMq,
    /// ActiveMQ: STOMP 1.2.
    ActiveMq,
}

/// How each is named, and the port where none is given.
const PROTOCOLS: [(&str, Protocol, u16); 2] =
    [("amqp://", Protocol::RabbitMq, 5672), ("stomp://", Protocol::ActiveMq, 61613)];

/// A broker: an ARN has its name, and only the server knows where it is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Broker {
    /// As in `arn:aws:mq:REGION:ACCOUNT:broker:NAME:ID`.
    pub name: String,
    /// What it is.
    pub protocol: Protocol,
    /// A name or an address; that of IPv6 in brackets.
    pub host: String,
    /// Its port.
    pub port: u16,
}

impl Broker {
    /// Reads `NAME=amqp://HOST[:PORT]` or `NAME=stomp://HOST[:PORT]`.
    ///
    /// # Errors
    /// What is not of that form, with why.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (name, url) = text.split_once('=').ok_or("a broker looks like orders=amqp://127.0.0.1:5672")?;
        let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        if name.is_empty() || !name.chars().all(is_name) {
            return Err(format!("{name:?} is no name of a broker: an ARN has letters, digits, - and _ there"));
        }
        let known = PROTOCOLS.iter().find_map(|(scheme, protocol, port)| {
            url.strip_prefix(scheme).map(|server| (server.trim_end_matches('/'), *protocol, *port))
        });
        let (server, protocol, usual) =
            known.ok_or("RabbitMQ is reached by amqp://HOST:PORT, and ActiveMQ by stomp://HOST:PORT")?;
        let (host, port) = match server.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => {
                (host, port.parse().map_err(|_| format!("{port:?} is no port"))?)
            }
            _ => (server, usual),
        };
        if host.is_empty() || host.contains(['/', '@', '?']) {
            return Err(format!("{url:?} does not end with HOST:PORT"));
        }
        Ok(Self { name: name.to_owned(), protocol, host: host.to_owned(), port })
    }

    /// Whether an ARN names it.
    #[must_use]
    pub fn is(&self, arn: &str) -> bool {
        arn.split(':').nth(6) == Some(&self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brokers_are_names_and_addresses() {
        let of = |text: &str| Broker::parse(text).map(|broker| (broker.protocol, broker.host, broker.port));
        assert_eq!(of("b=amqp://127.0.0.1:1"), Ok((Protocol::RabbitMq, "127.0.0.1".into(), 1)));
        assert_eq!(of("b=amqp://rabbit/"), Ok((Protocol::RabbitMq, "rabbit".into(), 5672)));
        assert_eq!(of("b=stomp://active"), Ok((Protocol::ActiveMq, "active".into(), 61613)));
        assert_eq!(of("b=amqp://[::1]:2"), Ok((Protocol::RabbitMq, "[::1]".into(), 2)));
        assert_eq!(of("b=stomp://[::1]"), Ok((Protocol::ActiveMq, "[::1]".into(), 61613)));
        for text in ["b", "=amqp://h", "b=http://h", "b=amqp://", "b=amqp://u@h", "b=stomp://h:x", "a b=amqp://h"] {
            assert!(of(text).is_err(), "{text}");
        }
    }

    #[test]
    fn an_arn_names_its_broker() {
        let broker = Broker::parse("orders=amqp://h").unwrap();
        assert!(broker.is("arn:aws:mq:us-east-1:000000000000:broker:orders:b-1"));
        assert!(!broker.is("arn:aws:mq:us-east-1:000000000000:broker:others:b-1") && !broker.is("orders"));
    }
}

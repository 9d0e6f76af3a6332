//! Brokers of message queues, as who starts the server names them.

/// RabbitMQ's port where none is given.
const PORT: u16 = 5672;

/// A broker: an ARN has its name, and only the server knows where it is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Broker {
    /// As in `arn:aws:mq:REGION:ACCOUNT:broker:NAME:ID`.
    pub name: String,
    /// A name or an address; that of IPv6 in brackets.
    pub host: String,
    /// Its port.
    pub port: u16,
}

impl Broker {
    /// Reads `NAME=amqp://HOST[:PORT]`.
    ///
    /// # Errors
    /// What is not of that form, with why.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (name, url) = text.split_once('=').ok_or("a broker looks like orders=amqp://127.0.0.1:5672")?;
        let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        if name.is_empty() || !name.chars().all(is_name) {
            return Err(format!("{name:?} is no name of a broker: an ARN has letters, digits, - and _ there"));
        }
        let server = url.strip_prefix("amqp://").ok_or("a broker is reached by amqp://HOST:PORT")?;
        let server = server.trim_end_matches('/');
        let (host, port) = match server.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => {
                (host, port.parse().map_err(|_| format!("{port:?} is no port"))?)
            }
            _ => (server, PORT),
        };
        if host.is_empty() || host.contains(['/', '@', '?']) {
            return Err(format!("{url:?} is not of the form amqp://HOST:PORT"));
        }
        Ok(Self { name: name.to_owned(), host: host.to_owned(), port })
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
        let of = |text: &str| Broker::parse(text).map(|broker| (broker.host, broker.port));
        assert_eq!(of("b=amqp://127.0.0.1:1"), Ok(("127.0.0.1".into(), 1)));
        assert_eq!(of("b=amqp://rabbit/"), Ok(("rabbit".into(), PORT)));
        assert_eq!(of("b=amqp://[::1]:2"), Ok(("[::1]".into(), 2)));
        assert_eq!(of("b=amqp://[::1]"), Ok(("[::1]".into(), PORT)));
        for text in ["b", "=amqp://h", "b=http://h", "b=amqp://", "b=amqp://u@h", "b=amqp://h:x", "a b=amqp://h"] {
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

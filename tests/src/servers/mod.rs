//! Real servers for tests: private processes on free ports, each with a data folder of its own, ended on drop.

pub mod certificates;
pub mod https;
pub mod mongo;
pub mod opensearch;
pub mod postgres;
pub mod proxy;
pub mod redis;
pub mod s3;
pub mod sentinel;
pub mod vcon_server;

/// A server that can be killed.
pub trait Server: Send {
    /// Kills it as `kill -9` does.
    fn kill(&mut self);
    /// Starts it again on the same data and port.
    fn up(&mut self);
}

/// Gives a private server its trait.
macro_rules! server {
    ($server:ty) => {
        impl Server for $server {
            fn kill(&mut self) {
                <$server>::kill(self);
            }

            fn up(&mut self) {
                <$server>::up(self);
            }
        }
    };
}

server!(redis::RedisServer);
server!(s3::S3Server);
server!(opensearch::OpenSearchServer);
server!(postgres::PostgresServer);
server!(mongo::MongoServer);

//! The product data that a configuration was made for.

use crate::config::read::mirror;
use crate::config::text::At;

mirror! {
    /// The product data that the configuration was made for, and who is told when a change concerns products.
    #[schemars(rename = "Products")]
    struct FileProducts("`products`") {
        /// The number of the product snapshot. An older one than the one in force is refused.
        #[schemars(extend("examples" = [42]))]
        version: At<u64>,
        /// Who is told, so that caches of the service drop what is stale.
        invalidate: FileInvalidate,
    }
}

mirror! {
    /// Who is told of products that a change concerns.
    #[schemars(rename = "Invalidate")]
    struct FileInvalidate("`invalidate`") {
        /// A channel of a Redis server.
        redis: FileInvalidateRedis,
        /// An HTTP server.
        webhook: FileInvalidateWebhook,
    }
}

mirror! {
    /// A channel of a Redis server.
    #[schemars(rename = "InvalidateRedis")]
    struct FileInvalidateRedis("`redis` of `invalidate`") {
        /// The server, `redis://[USER:PASSWORD@]HOST[:PORT][/DATABASE]`.
        #[schemars(extend("examples" = ["redis://127.0.0.1:6379"]))]
        [required] url: At<String>,
        /// The channel.
        #[schemars(extend("examples" = ["graylane-invalidate"]))]
        [required] channel: At<String>,
    }
}

mirror! {
    /// An HTTP server that takes a `POST` of JSON.
    #[schemars(rename = "InvalidateWebhook")]
    struct FileInvalidateWebhook("`webhook` of `invalidate`") {
        /// The URL.
        #[schemars(extend("examples" = ["http://127.0.0.1:8080/invalidate"]))]
        [required] url: At<String>,
    }
}

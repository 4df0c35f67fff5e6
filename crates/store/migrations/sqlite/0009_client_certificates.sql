-- The SHA-256 fingerprint of the certificate that a connection has to show for the key to work; none for any connection.
ALTER TABLE api_key ADD COLUMN client_certificate BLOB;

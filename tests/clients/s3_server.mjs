// A store that speaks S3 (s3rver), for test_s3.py: KEY_ID, SECRET, BUCKET, DIRECTORY; says its port, ends with its standard input.
import { createRequire } from "node:module";

const require = createRequire(import.meta.url);
const S3rver = require("@20minutes/s3rver");
const { DUMMY_ACCOUNT } = require("@20minutes/s3rver/lib/models/account");
const { KEY_ID, SECRET, BUCKET, DIRECTORY } = process.env;

// the key that everybody knows is none here
DUMMY_ACCOUNT.revokeAccessKey("S3RVER");
DUMMY_ACCOUNT.createKeyPair(KEY_ID, SECRET);

const store = new S3rver({
  address: "127.0.0.1", port: 0, silent: true, directory: DIRECTORY, configureBuckets: [{ name: BUCKET }],
});
const { port } = await store.run();
process.stdout.write(`${port}\n`);
process.stdin.on("end", () => process.exit(0)).resume();

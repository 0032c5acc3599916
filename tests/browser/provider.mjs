// An OpenID provider on this machine, until its standard input ends: node provider.mjs OPTIONS.
//
// OPTIONS is JSON: {port, redirect, secret, algorithm, people}. People log in by any password; what is known of them are
// the claims that `people` has for their login. Keys are made anew at each start. Prints `listening PORT`.
import http from 'node:http';
import { generateKeyPairSync } from 'node:crypto';
import Provider from 'oidc-provider';

const KEYS = {
  RS256: ['rsa', { modulusLength: 2048 }], ES256: ['ec', { namedCurve: 'P-256' }], Ed25519: ['ed25519'], EdDSA: ['ed25519'],
};
const { port, redirect, secret, algorithm, people } = JSON.parse(process.argv[2]);

const server = http.createServer();
server.listen(port, '127.0.0.1', () => {
  const { port: bound } = server.address();
  const provider = new Provider(`http://localhost:${bound}`, {
    clients: [{
      client_id: 'mirrors', redirect_uris: [redirect], id_token_signed_response_alg: algorithm,
      ...(secret ? { client_secret: secret } : { token_endpoint_auth_method: 'none' }),
    }],
    jwks: { keys: [generateKeyPairSync(...KEYS[algorithm]).privateKey.export({ format: 'jwk' })] },
    cookies: { keys: ['of these tests'] },
    claims: { openid: ['sub'], profile: ['preferred_username'], email: ['email', 'email_verified'], groups: ['groups'] },
    findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id, ...people[id] }) }),
  });
  server.on('request', provider.callback());
  process.stdout.write(`listening ${bound}\n`);
});
process.stdin.on('end', () => process.exit()).resume();

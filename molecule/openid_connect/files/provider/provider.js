// SPDX-FileCopyrightText: campus.flask_sso contributors
// SPDX-License-Identifier: GPL-3.0-or-later
// The OpenID Connect provider of the bench: the certified package oidc-provider under CERN's addresses, with a login page for its users.
import { createPrivateKey } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { Provider } from 'oidc-provider';

const settings = JSON.parse(readFileSync('settings.json', 'utf8'));
const prefix = new URL(settings.issuer).pathname;
const signingKey = createPrivateKey(readFileSync('signing-key.pem')).export({ format: 'jwk' });

// The claims of a user, of whom the bench knows the SAML attributes.
function claimsOf(name) {
  const attributes = settings.users[name];
  const claims = { sub: name };
  for (const [claim, attribute] of Object.entries(settings.claims)) {
    if (attribute in attributes) claims[claim] = attributes[attribute];
  }
  if ('Group' in attributes) claims.realm_access = { groups: attributes.Group };
  return claims;
}

const provider = new Provider(settings.issuer, {
  jwks: { keys: [{ ...signingKey, use: 'sig', alg: 'RS256', kid: settings.key_id }] },
  cookies: { keys: [settings.cookie_key] },
  clients: [settings.client, settings.keyed_client, settings.program],
  enabledJWA: { idTokenSigningAlgValues: ['RS256', 'HS256'] },
  claims: { openid: ['sub', ...Object.keys(settings.claims), 'realm_access'], acr: null, auth_time: null },
  acrValues: [settings.second_factor],
  scopes: ['openid'],
  pkce: { required: () => true },
  routes: {
    authorization: '/protocol/openid-connect/auth',
    token: '/protocol/openid-connect/token',
    userinfo: '/protocol/openid-connect/userinfo',
    jwks: '/protocol/openid-connect/certs',
    end_session: '/protocol/openid-connect/logout',
    revocation: '/protocol/openid-connect/revoke',
  },
  ttl: { AccessToken: 300, AuthorizationCode: 60, Grant: 86400, IdToken: 300, Interaction: 3600, Session: 86400 },
  interactions: { url: (_ctx, interaction) => `${prefix}/interaction/${interaction.uid}` },
  features: {
    devInteractions: { enabled: false },
    revocation: { enabled: true },
    backchannelLogout: { enabled: true },
    clientCredentials: { enabled: true },
    // A program names the site that its token is for.
    resourceIndicators: {
      enabled: true,
      getResourceServerInfo: (_ctx, site) => ({ scope: '', audience: settings.sites[site], accessTokenFormat: 'jwt' }),
    },
    rpInitiatedLogout: {
      enabled: true,
      logoutSource: (ctx, form) => {
        ctx.body = page(`${form}<button form="op.logoutForm" name="logout" value="yes" autofocus>Log out</button>`);
      },
    },
  },
  extraTokenClaims: (_ctx, token) => (token.kind === 'ClientCredentials' ? settings.program_claims : {}),
  // Without the provider's dispatcher, which refuses private addresses, such as that of the site.
  fetch: (url, { dispatcher: _refusing, ...options }) => fetch(url, options),
  findAccount: (_ctx, name) => name in settings.users && { accountId: name, claims: () => claimsOf(name) },
  // No user is asked for consent, as at CERN.
  loadExistingGrant: async (ctx) => {
    const { client, session } = ctx.oidc;
    const grant = new ctx.oidc.provider.Grant({ clientId: client.clientId, accountId: session.accountId });
    grant.addOIDCScope('openid');
    await grant.save();
    return grant;
  },
});
provider.proxy = true;
// What a test has written into ROUTE.json is in the answer of that route, so that the site gets forged tokens of the real provider.
provider.use(async (ctx, next) => {
  await next();
  const forgery = `${ctx.oidc?.route}.json`;
  if (existsSync(forgery)) ctx.body = { ...ctx.body, ...JSON.parse(readFileSync(forgery, 'utf8')) };
});
for (const event of ['server_error', 'backchannel.error']) {
  provider.on(event, (_ctx, error) => console.error(error));
}

function page(content) {
  return `<!DOCTYPE html><html lang="en"><meta charset="utf-8"><title>Single sign-on</title>${content}`;
}

function send(response, content) {
  response.setHeader('Content-Type', 'text/html; charset=utf-8');
  response.end(page(content));
}

const form = `<form method="post"><input name="username"><input name="password" type="password"><button>Log in</button></form>`;

async function interact(request, response) {
  if (request.method !== 'POST') {
    await provider.interactionDetails(request, response);
    return send(response, form);
  }
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  const fields = new URLSearchParams(Buffer.concat(chunks).toString());
  const name = fields.get('username');
  if (!(name in settings.users) || fields.get('password') !== settings.password) {
    return send(response, `<p>Wrong name or password.</p>${form}`);
  }
  const acr = settings.strong_users.includes(name) ? settings.second_factor : undefined;
  return provider.interactionFinished(request, response, { login: { accountId: name, acr } });
}

const answer = provider.callback();
createServer((request, response) => {
  // As below a prefix of Express, which the provider understands.
  request.originalUrl = request.url;
  request.url = request.url.slice(prefix.length);
  const answered = request.url.startsWith('/interaction/') ? interact(request, response) : answer(request, response);
  Promise.resolve(answered).catch((error) => {
    response.statusCode = 400;
    send(response, `<p>${error.name}</p>`);
  });
}).listen(settings.port, '127.0.0.1');

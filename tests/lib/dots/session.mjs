// DigitalOcean's own client (npm: @digitalocean/dots), which is generated from their description of the API.
//
//     node session.mjs FOLDER fields MODEL...     {"MODEL": {"field": "kind"}}: what it reads from an answer
//     node session.mjs FOLDER life URL KEYFILE    a droplet from its key to its deletion; a line of JSON for each step
//
// FOLDER has node_modules; the token is DIGITALOCEAN_TOKEN.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

const [folder, what, ...words] = process.argv.slice(2);
const require = createRequire(`${folder}/package.json`);
const dots = await import(pathToFileURL(require.resolve('@digitalocean/dots')));
const { FetchRequestAdapter } = await import(pathToFileURL(require.resolve('@microsoft/kiota-http-fetchlibrary')));

function fields(model) {
    const readers = dots[`deserializeInto${model}`]({});
    return Object.fromEntries(Object.entries(readers).map(([name, reader]) => {
        let kind;
        reader(new Proxy({}, { get: (_, method) => () => { kind = String(method); } }));
        return [name, kind];
    }));
}

function tell(step, value) {
    console.log(JSON.stringify({ step, value }));
    return value;
}

async function life(url, keyFile) {
    const provider = new dots.DigitalOceanApiKeyAuthenticationProvider(process.env.DIGITALOCEAN_TOKEN);
    const adapter = new FetchRequestAdapter(provider);
    adapter.baseUrl = url;
    const { v2 } = dots.createDigitalOceanClient(adapter);
    const page = { queryParameters: { page: 1, perPage: 200 } };
    const regions = await v2.regions.get(page);
    tell('regions', regions.regions.map((r) => r.slug));
    const { sshKey: key } = await v2.account.keys.post({ name: 'm1', publicKey: readFileSync(keyFile, 'utf8').trim() });
    tell('key', key);
    tell('the same key', (await v2.account.keys.bySsh_key_identifier(key.fingerprint).get()).sshKey);
    const { droplet } = await v2.droplets.post({
        name: 'm1', region: 'nyc3', size: 's-1vcpu-1gb', image: 'ubuntu-24-04-x64', sshKeys: [key.id], backups: false, ipv6: true,
        monitoring: false, tags: ['docker'], userData: '#cloud-config\n' });
    tell('ordered', droplet.status);
    const one = v2.droplets.byDroplet_id(droplet.id);
    let now = droplet;
    for (let look = 0; look < 20 && now.status !== 'active'; look++) now = (await one.get()).droplet;
    tell('active', { status: now.status, networks: now.networks, tags: now.tags, image: now.image.slug, region: now.region.slug });
    const byTag = await v2.droplets.get({ queryParameters: { tagName: 'docker', page: 1, perPage: 200 } });
    tell('by tag', byTag.droplets.map((d) => d.id === droplet.id));
    for (const [type, status] of [['power_off', 'off'], ['power_on', 'active'], ['reboot', 'active']]) {
        const { action } = await one.actions.post({ type });
        let state = action.status;
        for (let look = 0; look < 20 && state === 'in-progress'; look++) {
            state = (await v2.actions.byAction_id(action.id).get()).action.status;
        }
        tell(type, { action: state, droplet: (await one.get()).droplet.status, wanted: status });
    }
    await v2.tags.post({ name: 'mine' });
    await v2.tags.byTag_id('mine').resources.post({ resources: [{ resourceId: String(droplet.id), resourceType: 'droplet' }] });
    tell('tagged', (await one.get()).droplet.tags);
    await one.delete();
    await v2.tags.byTag_id('mine').delete();
    await v2.tags.byTag_id('docker').delete();
    await v2.account.keys.bySsh_key_identifier(key.id).delete();
    try {
        await one.get();
        tell('gone', 'it is there');
    } catch (error) {
        tell('gone', { status: error.responseStatusCode, id: error.id });
    }
}

if (what === 'fields') {
    console.log(JSON.stringify(Object.fromEntries(words.map((model) => [model, fields(model)]))));
} else {
    await life(...words);
}

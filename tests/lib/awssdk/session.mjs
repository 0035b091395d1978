// Amazon's own client for JavaScript (npm: @aws-sdk/client-ec2): an instance from what it looks up to its end.
//
//     node session.mjs FOLDER URL KEYFILE IMAGE-NAME OWNER    a line of JSON for each step
//
// FOLDER has node_modules; credentials and the region are of the environment.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

const [folder, endpoint, keyFile, imageName, owner] = process.argv.slice(2);
const require = createRequire(`${folder}/package.json`);
const sdk = (await import(pathToFileURL(require.resolve('@aws-sdk/client-ec2')))).default;
const ec2 = new sdk.EC2({ endpoint, region: process.env.AWS_DEFAULT_REGION, maxAttempts: 5 });

function tell(step, value) {
    console.log(JSON.stringify({ step, value }));
    return value;
}

async function refused(step, call) {
    try {
        await call;
        tell(step, 'done');
    } catch (error) {
        tell(step, error.name);
    }
}

async function until(id, state) {
    for (let look = 0; look < 20; look++) {
        const { Reservations: [{ Instances: [one] }] } = await ec2.describeInstances({ InstanceIds: [id] });
        if (one.State.Name === state) return one;
    }
    throw new Error(`${id} is never ${state}`);
}

const { AccountAttributes: [attribute] } = await ec2.describeAccountAttributes({ AttributeNames: ['default-vpc'] });
const vpc = attribute.AttributeValues[0].AttributeValue;
const { Subnets: [subnet] } = await ec2.describeSubnets({ Filters: [
    { Name: 'availability-zone', Values: ['us-east-1a'] }, { Name: 'vpc-id', Values: [vpc] }] });
const { Images: images } = await ec2.describeImages({ Owners: [owner], Filters: [
    { Name: 'name', Values: [imageName] }, { Name: 'state', Values: ['available'] }] });
images.sort((a, b) => (a.CreationDate < b.CreationDate ? 1 : -1));
tell('looked up', { subnet: subnet.SubnetId, image: images[0].ImageId });
await refused('no key', ec2.describeKeyPairs({ KeyNames: ['m1'] }));
const key = await ec2.importKeyPair({ KeyName: 'm1', PublicKeyMaterial: readFileSync(keyFile) });
tell('key', (await ec2.describeKeyPairs({ KeyNames: ['m1'], IncludePublicKey: true })).KeyPairs[0].KeyPairId === key.KeyPairId);
const { GroupId: group } = await ec2.createSecurityGroup({ GroupName: 'docker-machine', Description: 'Docker Machine', VpcId: vpc });
const rules = { GroupId: group, IpPermissions: [22, 2376].map((port) => (
    { IpProtocol: 'tcp', FromPort: port, ToPort: port, IpRanges: [{ CidrIp: '0.0.0.0/0' }] })) };
await ec2.authorizeSecurityGroupIngress(rules);
await refused('rules again', ec2.authorizeSecurityGroupIngress(rules));
const order = {
    ImageId: images[0].ImageId, InstanceType: 't3.micro', MinCount: 1, MaxCount: 1, KeyName: 'm1', ClientToken: 'dd29',
    Placement: { AvailabilityZone: 'us-east-1a' }, Monitoring: { Enabled: false },
    NetworkInterfaces: [{ DeviceIndex: 0, SubnetId: subnet.SubnetId, AssociatePublicIpAddress: true, Groups: [group] }],
    MetadataOptions: { HttpTokens: 'required', HttpPutResponseHopLimit: 2 },
    BlockDeviceMappings: [{ DeviceName: '/dev/sda1', Ebs: { VolumeSize: 16, VolumeType: 'gp3', DeleteOnTermination: true } }],
    UserData: Buffer.from('#cloud-config\n').toString('base64'),
    TagSpecifications: ['instance', 'volume'].map((kind) => ({ ResourceType: kind, Tags: [{ Key: 'Name', Value: 'a & <b>' }] })) };
const { Instances: [made] } = await ec2.runInstances(order);
const { Instances: [again] } = await ec2.runInstances(order);
tell('launched', { state: made.State.Name, once: made.InstanceId === again.InstanceId, time: made.LaunchTime instanceof Date });
await refused('launched otherwise', ec2.runInstances({ ...order, EbsOptimized: true }));
const id = made.InstanceId;
const running = await until(id, 'running');
tell('running', { address: running.PublicIpAddress, name: running.Tags[0].Value, group: running.SecurityGroups[0].GroupId === group });
await ec2.stopInstances({ InstanceIds: [id], Force: false });
tell('stopped', (await until(id, 'stopped')).PublicIpAddress ?? null);
await ec2.startInstances({ InstanceIds: [id] });
await until(id, 'running');
await ec2.rebootInstances({ InstanceIds: [id] });
await ec2.terminateInstances({ InstanceIds: [id] });
await until(id, 'terminated');
await ec2.deleteKeyPair({ KeyName: 'm1' });
await ec2.deleteSecurityGroup({ GroupId: group });
await refused('gone', ec2.describeInstances({ InstanceIds: ['i-0123456789abcdef0'] }));

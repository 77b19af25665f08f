import {randomUUID} from 'node:crypto';
import {PubSub} from '@google-cloud/pubsub';

const client = new PubSub({
  projectId: process.env.GOOGLE_CLOUD_PROJECT,
  enableOpenTelemetryTracing: true, // log lines have your trace
});
const events = client.topic('device-events', {messageOrdering: true});

const now = Date.now(); // the times are those of each property's last change
const report = {
  userId: 'u-1', endpointId: 'lamp-1', cause: 'PHYSICAL_INTERACTION',
  changed: [{namespace: 'Alexa.PowerController', name: 'powerState', value: 'ON',
    timeOfSample: new Date(now).toISOString()}],
  unchanged: [{namespace: 'Alexa.EndpointHealth', name: 'connectivity', value: {value: 'OK'},
    timeOfSample: new Date(now - 3600_000).toISOString()}],
};
await events.publishMessage({
  json: report, orderingKey: 'u-1/lamp-1',
  attributes: {region: 'EU', eventId: randomUUID()}, // the same if it is published again
});

// Stands in for @google-cloud/pubsub: writes what is published to the file PUBLISHED.
import {writeFileSync} from 'node:fs';

export class PubSub {
  constructor({projectId}) {
    this.projectId = projectId;
  }

  topic(name, {messageOrdering}) {
    const topic = `projects/${this.projectId}/topics/${name}`;
    return {
      publishMessage: async ({json, orderingKey, attributes}) => {
        if (orderingKey && !messageOrdering) {
          throw new Error('messageOrdering is not enabled');
        }
        const data = Buffer.from(JSON.stringify(json)).toString('base64');
        writeFileSync(process.env.PUBLISHED, JSON.stringify({topic, data, orderingKey, attributes}));
        return '1';
      },
    };
  }
}

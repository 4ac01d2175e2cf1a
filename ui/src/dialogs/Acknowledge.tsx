import { Textarea } from '@mantine/core';
import { useState } from 'react';
import { acknowledge } from '../api/alerts';
import type { Alert } from '../api/resources';
import { plain } from '../format';
import { t } from '../texts';
import { FormDialog, useSubmit } from './Frame';

export default function Acknowledge({ alert, onClose }: { alert: Alert; onClose: () => void }) {
  const form = useSubmit(onClose);
  const [comment, setComment] = useState('');
  return (
    <FormDialog
      title={t.alert.title}
      submitText={t.alert.acknowledge}
      form={form}
      onSubmit={() => form.submit(() => acknowledge(alert.id, comment))}
      onClose={onClose}
    >
      <p>{plain(alert.text)}</p>
      <Textarea
        data-autofocus
        label={t.alert.comment}
        description={t.alert.hint}
        autosize
        minRows={2}
        maxLength={500}
        value={comment}
        error={form.fields.comment}
        onChange={(event) => setComment(event.target.value)}
      />
    </FormDialog>
  );
}

import { Modal } from '@mantine/core';
import { useQueryClient } from '@tanstack/react-query';
import { type FormEvent, type ReactNode, useState } from 'react';
import { ApiError } from '../api/client';
import type { Guest } from '../api/resources';
import { errorText } from '../api/tasks';
import { Button } from '../parts/Button';
import { t } from '../texts';

export type DialogProps = { guest: Guest; onClose: () => void };

export type Submit = {
  error?: string;
  fields: Record<string, string>;
  isBusy: boolean;
  submit: (work: () => Promise<unknown>) => Promise<void>;
};

/**
 * Runs the work of a form; a refusal keeps it open and points at its fields. What the pages show is
 * read again, but nothing of a guest that is `gone` with it.
 */
export function useSubmit(onDone: () => void, gone?: number): Submit {
  const client = useQueryClient();
  const [failure, setFailure] = useState<{ error?: string; fields: Record<string, string> }>({
    fields: {},
  });
  const [isBusy, setIsBusy] = useState(false);
  const submit = async (work: () => Promise<unknown>) => {
    setIsBusy(true);
    setFailure({ fields: {} });
    try {
      await work();
      onDone();
      void client.invalidateQueries({
        predicate: ({ queryKey: [kind, of] }) => kind !== 'guest' || of !== gone,
      });
    } catch (error) {
      const fields = error instanceof ApiError ? error.fields : {};
      setFailure({ error: errorText(error), fields });
    }
    setIsBusy(false);
  };
  return { ...failure, isBusy, submit };
}

/** A dialog with a form: what it asks, what was refused, cancel and one action. */
export function FormDialog({
  title,
  submitText,
  closeText = t.cancel,
  isDanger = false,
  isReady = true,
  form,
  onSubmit,
  onClose,
  children,
  size = 'md',
}: {
  title: string;
  submitText: string;
  closeText?: string;
  isDanger?: boolean;
  isReady?: boolean;
  form: Submit;
  onSubmit: () => void;
  onClose: () => void;
  children: ReactNode;
  size?: string;
}) {
  const submit = (event: FormEvent) => {
    event.preventDefault();
    // A form around the dialog is not meant.
    event.stopPropagation();
    if (isReady && !form.isBusy) onSubmit();
  };
  return (
    <Modal opened title={title} onClose={onClose} size={size}>
      <form className="dialog" onSubmit={submit}>
        {children}
        {form.error && (
          <p className="hint e" role="alert">
            {form.error}
          </p>
        )}
        <div className="modal-foot">
          <Button onClick={onClose}>{closeText}</Button>
          <Button
            type="submit"
            kind={isDanger ? 'danger filled' : 'pri'}
            disabled={!isReady || form.isBusy}
          >
            {submitText}
          </Button>
        </div>
      </form>
    </Modal>
  );
}

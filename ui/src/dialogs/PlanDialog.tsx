import { useQueryClient } from '@tanstack/react-query';
import { type ReactNode, useState } from 'react';
import { followTask } from '../api/tasks';
import { Button } from '../parts/Button';
import { FormDialog, useSubmit } from './Frame';

type Props<Plan> = {
  title: string;
  submitText: string;
  planText: string;
  /** What is asked, as one text: another question needs another plan. */
  asked: string;
  /** Whether it is all that is needed for a plan. */
  isWhole: boolean;
  /** Asks for the plan, or carries it out. */
  send: (isDry: boolean) => Promise<Plan>;
  planned: (plan: Plan) => ReactNode;
  /** The form, with what is wrong with its fields. */
  children: (errors: Record<string, string>) => ReactNode;
  below?: (hasPlan: boolean) => ReactNode;
  onClose: () => void;
};

/** A dialog that does nothing before its plan is shown. */
export function PlanDialog<Plan extends { upid?: string }>({
  title,
  submitText,
  planText,
  asked,
  isWhole,
  send,
  planned,
  children,
  below,
  onClose,
}: Props<Plan>) {
  const client = useQueryClient();
  const form = useSubmit(() => {});
  const [answer, setAnswer] = useState<{ asked: string; plan: Plan }>();
  const plan = answer?.asked === asked ? answer.plan : undefined;
  const ask = () => form.submit(async () => setAnswer({ asked, plan: await send(true) }));
  const carryOut = () =>
    form.submit(async () => {
      const { upid } = await send(false);
      followTask(client, title, upid ?? null);
      onClose();
    });
  return (
    <FormDialog
      title={title}
      submitText={submitText}
      isReady={plan !== undefined}
      form={form}
      onSubmit={() => void carryOut()}
      onClose={onClose}
      size="lg"
    >
      {children(form.fields)}
      {/* Not the button that carries it out: a second click would do what was not seen. */}
      {plan ? (
        planned(plan)
      ) : (
        <Button disabled={!isWhole || form.isBusy} onClick={() => void ask()}>
          {planText}
        </Button>
      )}
      {below?.(plan !== undefined)}
    </FormDialog>
  );
}

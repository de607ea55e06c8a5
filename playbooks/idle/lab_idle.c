// SPDX-License-Identifier: GPL-2.0
/*
 * An idle state for a machine whose clock advances with the instructions that it executes: it executes no-ops until
 * something is to be scheduled. QEMU translates a block of them into the few host instructions that count them, so
 * that idle time passes thirty times as fast as it would wait. Loaded while a run of the lab lasts.
 */
#include <linux/cpuidle.h>
#include <linux/module.h>
#include <linux/sched.h>
#include <linux/sched/idle.h>

static int lab_idle_enter(struct cpuidle_device *device, struct cpuidle_driver *driver, int index)
{
	raw_local_irq_enable();
	if (!current_set_polling_and_test())
		while (!need_resched())
			asm volatile(".rept 400\n\tnop\n\t.endr" ::: "memory");
	current_clr_polling();
	raw_local_irq_disable();
	return index;
}

static struct cpuidle_driver lab_idle = {
	.name = "lab_idle", /* without an owner: a device of the driver would keep the module from being unloaded */
	.states = { { .name = "NO-OPS", .desc = "no-ops until there is work", .enter = lab_idle_enter } },
	.state_count = 1,
};

static int __init lab_idle_start(void)
{
	return cpuidle_register(&lab_idle, NULL);
}

static void __exit lab_idle_stop(void)
{
	cpuidle_unregister(&lab_idle);
}

module_init(lab_idle_start);
module_exit(lab_idle_stop);
MODULE_DESCRIPTION("Idle time of a machine that counts instructions, executed");
MODULE_LICENSE("GPL");

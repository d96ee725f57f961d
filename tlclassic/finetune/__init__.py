"""Fine-tuning of transformer encoders with torch (extra ``finetune``); what comes out runs without it."""
